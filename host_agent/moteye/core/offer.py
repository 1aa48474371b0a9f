"""One set of classes in the form that each device has room for.

The whole set; its planes up to the device's dimension; codewords; codewords without names.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from moteye_protocol import wire
from moteye_protocol.codebook_set import CodebookSet
from moteye_protocol.prototype_set import PrototypeSet
from moteye_protocol.set_file import set_hash

from moteye.core.scoring import AnySet

Compress = Callable[[int, bool], CodebookSet]


@dataclass(frozen=True)
class Form:
    """A file that carries the classes; the same rows in the same order as all its other forms."""

    prototypes: AnySet
    data: bytes

    @property
    def hash(self) -> bytes:
        """What names it on the wire."""
        return set_hash(self.data)


@dataclass
class Offer:
    """The classes that devices should know. `compress(dim, names)` makes a codebook set of them.

    Without `compress` (a set read from a file) there is no codebook form. Forms are made when they
    are first asked for, which takes seconds for thousands of classes, and kept.
    """

    whole: Form
    compress: Compress | None = None
    _forms: dict[tuple[int, str], Form] = field(default_factory=dict)
    _chosen: dict[tuple[int, int], Form | None] = field(default_factory=dict)

    def form(self, dim: int, room_bytes: int) -> Form | None:
        """The first form for a device that matches at `dim` and takes so many bytes.

        None: no form fits.
        """
        key = (dim, room_bytes)
        if key not in self._chosen:
            forms = self._by_preference(dim)
            self._chosen[key] = next((f for f in forms if len(f.data) <= room_bytes), None)
        return self._chosen[key]

    def is_ready(self, dim: int, room_bytes: int) -> bool:
        """Whether `form` would answer at once."""
        return (dim, room_bytes) in self._chosen or len(self.whole.data) <= room_bytes

    def named(self, name: bytes) -> Form | None:
        """The form of this hash, if there is one by now."""
        return next((form for form in self.made() if form.hash == name), None)

    def made(self) -> list[Form]:
        """The whole set and every other form that was made."""
        return [self.whole, *self._forms.values()]

    def _by_preference(self, dim: int) -> Iterator[Form]:
        plain = self.whole.prototypes
        if isinstance(plain, CodebookSet):
            if plain.dim == dim:
                yield self.whole
            return
        if plain.dim < dim:
            return
        yield self.whole
        if plain.dim > dim:
            yield self._keep(dim, "planes", lambda: first_planes(plain, dim))
        compress = self.compress
        if compress is not None:
            yield self._keep(dim, "codewords", lambda: compress(dim, True))
            yield self._keep(
                dim, "nameless", lambda: replace(self._forms[dim, "codewords"].prototypes, names=())
            )

    def _keep(self, dim: int, kind: str, make: Callable[[], AnySet]) -> Form:
        if (dim, kind) not in self._forms:
            prototypes = make()
            self._forms[dim, kind] = Form(prototypes, prototypes.encode())
        return self._forms[dim, kind]

    def codebook(self, dim: int) -> CodebookSet | None:
        """The codebook form with names, if it was made."""
        form = self._forms.get((dim, "codewords"))
        found = form.prototypes if form is not None else None
        return found if isinstance(found, CodebookSet) else None


def first_planes(prototypes: PrototypeSet, dim: int) -> PrototypeSet:
    """The set as far as `dim` dimensions need it: rows are nested."""
    planes = wire.SET_DIMS.index(dim) + 1
    return replace(
        prototypes,
        codes=prototypes.codes[:, :dim],
        scale=prototypes.scale[:planes],
        mult=prototypes.mult[:planes],
        offset=prototypes.offset[:planes],
        shift=prototypes.shift[:planes],
        canaries=tuple((row, embedding[:dim]) for row, embedding in prototypes.canaries),
    )
