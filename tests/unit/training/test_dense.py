"""The dense head's data and measures: geometry of views, who owns a cell, what counts as found."""

import numpy as np
import pytest
from moteye_training.data import Photo
from moteye_training.dense_measure import (
    Found,
    boxes_of_name,
    cell_edges,
    cell_logits,
    f1_at,
    matched,
    precision_area,
    values_of,
)
from moteye_training.dense_rows import (
    known_columns,
    make_vocabulary,
    photo_boxes,
    view_boxes,
    view_crop,
)
from moteye_training.pseudo import BOXES, best_boxes, cell_boxes, overlaps
from moteye_training.truth import COCO_NAMES


def photo(*boxes: tuple[float, float, float, float, str]) -> Photo:
    return Photo("key", "shard", 0, 0, "coco-val2017", boxes=boxes, width=200, height=100)


def test_view_boxes_follow_crop_and_mirror() -> None:
    boxes = photo_boxes(photo((50, 20, 100, 60, "cat")), None)
    assert boxes == [("cat", 0.25, 0.2, 0.5, 0.6)]
    (box,) = view_boxes(boxes, (200, 100), (50, 0, 150, 100), False)
    assert box[1:] == pytest.approx((0, 0.2, 0.5, 0.6))
    (box,) = view_boxes(boxes, (200, 100), (50, 0, 150, 100), True)
    assert box[1:] == pytest.approx((0.5, 0.2, 1, 0.6))


def test_view_boxes_cut_mostly_off_is_left_out() -> None:
    boxes = photo_boxes(photo((0, 0, 100, 100, "cat")), None)
    assert view_boxes(boxes, (200, 100), (60, 0, 200, 100), False) == []
    assert len(view_boxes(boxes, (200, 100), (40, 0, 200, 100), False)) == 1


def test_view_crop_is_the_same_in_every_run_and_within_the_photo() -> None:
    assert view_crop(photo(), 0)[:2] == ((0, 0, 200, 100), False)
    assert view_crop(photo(), 1)[:2] == ((0, 0, 200, 100), True)
    for view in (2, 3):
        (left, top, right, bottom), mirrored, _ = view_crop(photo(), view)
        assert 0 <= left < right <= 200
        assert 0 <= top < bottom <= 100
        assert view_crop(photo(), view)[:2] == ((left, top, right, bottom), mirrored)


def test_photo_boxes_of_the_detector_count_where_it_is_sure() -> None:
    found = np.zeros((BOXES, 6), np.float32)
    found[0], found[1] = (COCO_NAMES.index("cup"), 0.7, 0, 0, 0.5, 0.5), (0, 0.3, 0, 0, 1, 1)
    assert photo_boxes(photo(), found) == [("cup", 0, 0, 0.5, 0.5)]
    assert photo_boxes(photo((0, 0, 200, 100, "cat")), found)[0][0] == "cat"
    assert photo_boxes(photo(), None) == []


def test_known_columns_of_other_words_need_all_that_they_stand_for() -> None:
    vocabulary = make_vocabulary([photo((0, 0, 9, 9, "door handle"))])
    presence = np.zeros((2, len(COCO_NAMES)), np.int8)
    presence[1, COCO_NAMES.index("laptop")] = -1
    known = known_columns(vocabulary, presence, [[("door handle", 0, 0, 1, 1)], []])
    column = {name: at for at, name in enumerate(vocabulary.names)}
    assert known[:, column["screen"]].tolist() == [True, False]
    assert known[:, column["television"]].tolist() == [True, True]
    assert known[:, column["door handle"]].tolist() == [True, False]
    assert vocabulary.columns("laptop") == [
        column[name] for name in ("laptop", "screen", "computer")
    ]


def test_values_and_edges_are_those_of_the_wire() -> None:
    cells = np.zeros((1, 4 * 69), np.int8)
    cells[0, 69 : 2 * 69] = [32] + [0] * 63 + [-16, 16, 32, 64, -5]
    values = values_of(cells)
    names = np.eye(64, dtype=np.float32)[:2]
    assert cell_logits(values, names)[0, 1].tolist() == [1.0, -1.0]
    assert cell_edges(values)[0, 1].tolist() == pytest.approx([0.625, 0, 1.0, 0.25])


def test_boxes_of_name_leave_out_the_same_thing_and_what_is_unlikely() -> None:
    edges = np.array([[[0, 0, 0.4, 0.4], [0.02, 0, 0.4, 0.4], [0.5, 0.5, 1, 1], [0, 0, 1, 1]]])
    found = boxes_of_name(np.array([[1.0, 2.0, 0.0, -3.0]]), edges.astype(np.float32))
    assert found.score.tolist() == [2.0, 0.0]


def test_matched_gives_each_true_box_to_one() -> None:
    truth = [np.array([[0, 0, 0.5, 0.5]], np.float32), np.zeros((0, 4), np.float32)]
    edges = np.array([[0, 0, 0.5, 0.5], [0.1, 0.1, 0.5, 0.5], [0, 0, 1, 1]], np.float32)
    found = Found(np.array([0, 0, 1]), np.array([1.0, 3.0, 2.0], np.float32), edges)
    assert matched(found, truth, centroid=False).tolist() == [True, False, False]
    assert matched(found, truth, centroid=True).tolist() == [True, False, False]
    hits = matched(found, truth, centroid=True)
    assert precision_area(hits, 1) == 1.0
    assert precision_area(hits, 2) == 0.5
    assert f1_at(found, hits, 1, 2.5) == 1.0
    assert f1_at(found, hits, 1, 0.0) == 0.5
    assert f1_at(found, hits, 1, 9.0) == 0.0


def test_detector_cells_stand_apart_by_their_stride() -> None:
    bins = np.full((6, 4, 8), -50.0, np.float32)
    bins[:, 0, 1] = bins[:, 1, 0] = bins[:, 2, 3] = bins[:, 3, 2] = 50
    boxes = cell_boxes(bins, 3, 16)
    assert boxes[4].tolist() == pytest.approx([16 - 16, 16, 16 + 48, 16 + 32])


def test_best_boxes_keep_one_a_thing_and_name() -> None:
    edges = np.array([[0, 0, 1, 1], [0, 0, 1, 0.95], [0, 0, 0.1, 0.1]], np.float32)
    scores = np.zeros((3, len(COCO_NAMES)), np.float32)
    scores[0, 3], scores[1, 3], scores[1, 5], scores[2, 3] = 0.5, 0.9, 0.6, 0.1
    boxes = best_boxes(scores, edges)
    assert boxes.shape == (BOXES, 6)
    assert boxes[:3, :2].tolist() == [[3, pytest.approx(0.9)], [5, pytest.approx(0.6)], [0, 0]]
    assert overlaps(edges[0], edges[1:2])[0] == pytest.approx(0.95)
