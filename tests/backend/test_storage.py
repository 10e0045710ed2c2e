from dataclasses import dataclass

import numpy as np
from portrait_head import storage


@dataclass(frozen=True)
class Inner:
    points: np.ndarray
    label: str


@dataclass(frozen=True)
class Outer:
    inner: Inner
    many: tuple[Inner, ...]
    named: dict[str, np.ndarray]
    words: tuple[str, ...]
    number: float | np.floating
    nothing: str | None
    perhaps: Inner | None
    several: tuple[Inner, ...] | None
    none: tuple[Inner, ...] | None = None


def example() -> Outer:
    rng = np.random.default_rng(3)
    inner = Inner(rng.normal(size=(4, 3)).astype(np.float32), "größe")
    return Outer(
        inner,
        (inner, Inner(np.zeros((0, 3)), "")),
        {"a": np.arange(3), "b": np.eye(2)},
        ("x", "y"),
        np.float32(0.5),
        None,
        inner,
        (inner,),
    )


def test_a_dataclass_comes_back_as_it_went(tmp_path):
    storage.save(tmp_path, example())
    back = storage.load(tmp_path, Outer)

    assert back.words == ("x", "y") and back.number == 0.5 and back.nothing is None
    assert [one.label for one in back.many] == ["größe", ""]
    assert back.perhaps is not None and back.perhaps.label == "größe"
    assert back.several is not None and [one.label for one in back.several] == ["größe"] and back.none is None
    for ours, theirs in zip(
        (back.inner.points, back.many[1].points, back.named["b"]),
        (example().inner.points, np.zeros((0, 3)), np.eye(2)),
        strict=True,
    ):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_the_same_value_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        storage.save(tmp_path / name, example())

    for file in ("arrays.npz", "values.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_publishing_twice_leaves_one_whole_folder(tmp_path):
    storage.publish(tmp_path / "kept", example())
    storage.publish(tmp_path / "kept", example())

    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert storage.load(tmp_path / "kept", Outer).words == ("x", "y")
