"""The four stages of the captioner with its own encoder, after µVLM.

`classes`: OverMod learns ImageNet's classes. `words`: a decoder on the frozen encoder. `together`:
both, end to end. `reward`: CIDEr-D as reward, the encoder frozen again.
"""

from __future__ import annotations

import torch

from ...data import is_validation
from ..run import Options
from ..sentences import Sentences, gather
from ..stages import reward_options
from ..train import Maps, Rewarded, load_decoder, teach_reward, teach_words
from .classify import teach_classes
from .encoder import CaptionEncoder, OverMod
from .whole import Whole, load_encoder, load_whole
from .work import OwnWork


def _sentences(work: OwnWork) -> Sentences:
    return gather(work.captioned, work.vocabulary, {}, labels=False)


def classes(work: OwnWork) -> None:
    """Stage 1: `OUT/classes.pt`."""
    plan = work.plan
    torch.manual_seed(plan.seed)
    model = OverMod(work.size).to(plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    options = Options(
        "classes", plan.class_steps, plan.batch, rate=2e-3, weight_decay=0.05, ema=0.995,
        seed=plan.seed, save_every=plan.save_every,
    )  # fmt: skip
    teach_classes(model, work.taught(), options, work.out, work.minutes)


def words(work: OwnWork) -> None:
    """Stage 2: `OUT/words.pt`.

    Where the fusion has weights, it learns with the decoder, on pictures; else the maps are
    computed once.
    """
    plan, sentences = work.plan, _sentences(work)
    encoder = CaptionEncoder(load_encoder(work.out / "classes.pt"), frozen=True)
    pixels, places = work.captioned_pictures
    arrays, tap, model = pixels, work.picture, work.fresh()
    if work.size.fusion:
        model = Whole(encoder.to(plan.device), model)
    else:
        arrays, tap = work.encoded(encoder, pixels, "maps"), work.tap
    options = Options(
        "words", plan.steps, plan.batch, seed=plan.seed + 1, save_every=plan.save_every
    )
    teach_words(
        model, sentences, Maps.of(arrays, tap, places, sentences.keys),
        work.held_out(arrays, places, tap), options, work.out,
    )  # fmt: skip


def together(work: OwnWork) -> None:
    """Stage 3: `OUT/together.pt`, from the encoder of stage 1 and the decoder of stage 2."""
    plan, sentences = work.plan, _sentences(work)
    if work.size.fusion:
        model = load_whole(work.out / "words.pt")
        model.encoder.frozen = False
        model.encoder.requires_grad_(True)
    else:
        encoder = CaptionEncoder(load_encoder(work.out / "classes.pt"))
        model = Whole(encoder, load_decoder(work.out / "words.pt"))
    model.to(plan.device)
    pixels, places = work.captioned_pictures
    options = Options(
        "together", plan.together_steps, plan.batch, rate=7e-4, ema=0.99, seed=plan.seed + 2,
        save_every=plan.save_every,
    )  # fmt: skip
    teach_words(
        model, sentences, Maps.of(pixels, work.picture, places, sentences.keys),
        work.held_out(pixels, places, work.picture), options, work.out, work.minutes,
    )  # fmt: skip


def reward(work: OwnWork) -> None:
    """Stage 4: `OUT/reward.pt`, a decoder on the maps of stage 3's encoder."""
    plan = work.plan
    whole = load_whole(work.out / "together.pt")
    pixels, places = work.captioned_pictures
    maps = work.encoded(whole.encoder, pixels, "maps")
    learnt = [p for p in work.captioned if not is_validation(p)]
    keys = [p.key for p in learnt]
    teach_reward(
        whole.decoder.to(plan.device), Rewarded(learnt, work.vocabulary, keys),
        Maps.of(maps, work.tap, places, keys), work.held_out(maps, places, work.tap),
        reward_options(plan), work.out, minutes=work.minutes,
    )  # fmt: skip
