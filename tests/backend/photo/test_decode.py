"""Photo files of every kind decode to upright sRGB, and broken ones become sentences."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from portrait_head.errors import PortraitHeadError
from portrait_head.photo.decode import DecodeConfig, load_photo

from tests.backend.photo.pictures import encoded, gradient

KINDS = {
    "PNG": {},
    "JPEG": {"quality": 95},
    "WEBP": {"lossless": True},
    "BMP": {},
    "TIFF": {},
    "GIF": {},
}


def write(folder: Path, data: bytes, name: str = "photo.bin") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refusal(path: Path | str, config: DecodeConfig | None = None) -> PortraitHeadError:
    with pytest.raises(PortraitHeadError) as caught:
        load_photo(path, config or DecodeConfig())
    error = caught.value
    assert error.message.endswith(".")
    assert error.hint.endswith(".")
    return error


@pytest.mark.parametrize("kind", KINDS)
def test_common_formats_keep_their_colours(kind: str, tmp_path: Path) -> None:
    picture = gradient()
    photo = load_photo(write(tmp_path, encoded(Image.fromarray(picture), kind, **KINDS[kind])))
    assert photo.image.shape == picture.shape
    assert photo.image.dtype == np.uint8
    assert photo.warnings == ()
    # JPEG and the 256 colours of a GIF are not exact.
    assert np.abs(photo.image.astype(int) - picture).mean() < (6.0 if kind in ("JPEG", "GIF") else 0.01)


def taken(size: tuple[int, int], recorded: tuple[float, float], focal: float) -> bytes:
    """A JPEG whose EXIF block tells a 35 mm equivalent and how large the picture was when it was taken."""
    exif = Image.Exif()
    exif[0x8769] = {0xA002: recorded[0], 0xA003: recorded[1], 0xA405: focal}
    return encoded(Image.new("RGB", size, "grey"), "JPEG", exif=exif)


def test_exif_tells_the_focal_length_in_pixels(tmp_path: Path) -> None:
    whole = load_photo(write(tmp_path, taken((400, 300), (400, 300), 50)))
    scaled = load_photo(write(tmp_path, taken((200, 150), (400, 300), 50)))
    upright = load_photo(write(tmp_path, taken((300, 400), (400, 300), 50)))
    focal = 50 / 43.267 * 500
    assert [whole.focal, scaled.focal, upright.focal] == pytest.approx([focal, focal / 2, focal], rel=1e-6)


@pytest.mark.parametrize(
    ("size", "recorded", "focal"),
    [
        ((300, 300), (400, 300), 50),
        ((300, 300), (300, 300), 50),
        ((400, 300), (0, 0), 50),
        ((400, 300), (400, 300), 0),
    ],
    ids=["cut since", "cut and recorded so", "size unknown", "focal length unknown"],
)
def test_a_focal_length_that_may_be_of_another_picture_is_not_believed(
    size: tuple[int, int], recorded: tuple[int, int], focal: int, tmp_path: Path
) -> None:
    assert load_photo(write(tmp_path, taken(size, recorded, focal))).focal is None


def test_a_picture_without_exif_tells_no_focal_length(tmp_path: Path) -> None:
    assert load_photo(write(tmp_path, encoded(Image.fromarray(gradient()), "PNG"))).focal is None


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"])
def test_every_colour_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    grey = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (40, 1))
    image = Image.fromarray(grey).convert("RGB")
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "I":
        image = Image.fromarray(grey.astype(np.int32) * 257)
    elif mode == "F":
        image = Image.fromarray(grey.astype(np.float32) / 255)
    elif mode == "LAB":
        image = Image.merge("LAB", [Image.fromarray(band) for band in (grey, grey * 0 + 128, grey * 0 + 128)])
    else:
        image = image.quantize(64) if mode == "P" else image.convert(mode)
    result = load_photo(write(tmp_path, encoded(image, "TIFF"))).image
    assert result.shape == (40, 64, 3)
    middle = result[:, 30:34].astype(int)
    if mode != "1":
        assert np.abs(middle - grey[:, 30:34, None]).max() <= 30  # L* is not linear in grey
        assert np.abs(np.diff(middle, axis=-1)).max() <= 2
    assert result[:, -1].min() > 240
    assert result[:, 0].max() < 15


def test_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 32), (220, 40, 30)).convert("CMYK")
    result = load_photo(write(tmp_path, encoded(image, "JPEG", quality=95))).image
    assert np.abs(result.mean(axis=(0, 1)) - (220, 40, 30)).max() < 12


def test_16_bit_colour_png(tmp_path: Path) -> None:
    picture = gradient()
    path = tmp_path / "deep.png"
    assert cv2.imwrite(str(path), picture[..., ::-1].astype(np.uint16) * 257)
    assert np.abs(load_photo(path).image.astype(int) - picture).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_parts_become_grey_with_a_warning(mode: str, tmp_path: Path) -> None:
    rgba = np.dstack([gradient(), np.full((36, 48), 255, np.uint8)])
    rgba[:, :10, 3] = 0
    image = Image.fromarray(rgba).convert("P" if mode == "PA" else mode)
    if mode == "PA":
        image = Image.fromarray(rgba).quantize(64)
    photo = load_photo(write(tmp_path, encoded(image, "PNG")))
    assert np.abs(photo.image[:, 2:8].astype(int) - DecodeConfig().background).max() <= 3
    assert len(photo.warnings) == 1
    assert "transparent" in photo.warnings[0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    picture = gradient()
    stored = {
        1: picture,
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.transpose(1, 0, 2),
        6: np.rot90(picture, 1),
        7: picture[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(picture, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    result = load_photo(write(tmp_path, encoded(image, "PNG", exif=exif))).image
    assert np.array_equal(result, picture)


def test_an_embedded_profile_is_converted(tmp_path: Path) -> None:
    """A profile whose red and green primaries are exchanged must exchange the colours."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be"))
    head, table, tail = swapped[:128], swapped[128 : 132 + 12 * 32], swapped[132 + 12 * 32 :]
    table = table.replace(b"rXYZ", b"TEMP").replace(b"gXYZ", b"rXYZ").replace(b"TEMP", b"gXYZ")
    image = Image.new("RGB", (16, 16), (200, 30, 60))
    result = load_photo(write(tmp_path, encoded(image, "PNG", icc_profile=head + table + tail))).image
    assert np.abs(result[8, 8].astype(int) - (30, 200, 60)).max() <= 3


def test_a_broken_profile_is_a_warning(tmp_path: Path) -> None:
    photo = load_photo(write(tmp_path, encoded(Image.fromarray(gradient()), "PNG", icc_profile=b"no profile" * 40)))
    assert np.array_equal(photo.image, gradient())
    assert "profile" in photo.warnings[0]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_is_taken_with_a_warning(kind: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (24, 20), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    photo = load_photo(write(tmp_path, data))
    assert np.abs(photo.image[10, 10].astype(int) - (255, 0, 0)).max() < 6
    assert "3 frames" in photo.warnings[0]


def test_paths_with_spaces_and_letters_of_any_script(tmp_path: Path) -> None:
    folder = tmp_path / "Mein schönes Foto 写真 é"
    folder.mkdir()
    data = encoded(Image.fromarray(gradient()), "PNG")
    assert np.array_equal(load_photo(write(folder, data, "Ω портрет (1).png")).image, gradient())


def test_missing_folder_empty_and_other_files(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing here.jpg").kind == "photo_missing"
    assert refusal("bad\0name.jpg").kind == "photo_missing"
    assert refusal(tmp_path / ("x" * 400 + ".jpg")).kind in ("photo_unreadable", "photo_missing")
    assert refusal(tmp_path).kind == "photo_is_folder"
    assert refusal(write(tmp_path, b"")).kind == "photo_empty"
    assert refusal(write(tmp_path, b"Dear diary, no picture today.\n" * 20)).kind == "photo_format"
    assert refusal(write(tmp_path, b"\0" * 5000)).kind == "photo_format"
    heic = refusal(write(tmp_path, b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + b"\0" * 100))
    assert heic.kind == "photo_format"
    assert "HEIC" in heic.message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    assert refusal(path).kind == "photo_unreadable"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads every file")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = write(tmp_path, encoded(Image.fromarray(gradient()), "PNG"))
    path.chmod(0)
    assert refusal(path).kind == "photo_unreadable"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_truncated_files_are_refused(kind: str, share: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind, **KINDS[kind])
    assert refusal(write(tmp_path, data[: int(len(data) * share)])).kind == "photo_corrupt"


def test_a_picture_of_20000_pixels_square_is_refused_politely(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    error = refusal(write(tmp_path, b"\x89PNG\r\n\x1a\n" + body))
    assert error.kind == "photo_too_large"
    assert "million" in error.message


def test_a_large_jpeg_is_decoded_smaller(tmp_path: Path) -> None:
    picture = cv2.resize(gradient(), (1600, 1200), interpolation=cv2.INTER_LINEAR)
    path = write(tmp_path, encoded(Image.fromarray(picture), "JPEG", quality=90))
    image = load_photo(path, DecodeConfig(max_pixels=200_000, max_jpeg_pixels=3_000_000)).image
    assert image.shape == (300, 400, 3)
    assert np.abs(image.astype(int) - cv2.resize(picture, (400, 300), interpolation=cv2.INTER_AREA)).mean() < 3
    assert refusal(path, DecodeConfig(max_pixels=200_000, max_jpeg_pixels=1_000_000)).kind == "photo_too_large"


def test_files_beyond_the_byte_limit_are_not_read(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, bytes(5000)), DecodeConfig(max_bytes=4000)).kind == "photo_too_large"


def mutations(seed: int) -> list[tuple[str, bytes]]:
    """About 400 damaged files of six formats: flipped bytes, holes, cuts, broken headers, swapped parts."""
    generator = np.random.default_rng(seed)
    picture = Image.fromarray(generator.integers(0, 255, (40, 56, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    extra = {"exif": exif, "icc_profile": profile}
    sources = [encoded(picture, kind, **options, **(extra if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}))
               for kind, options in KINDS.items()]  # fmt: skip
    sources.append(encoded(picture, "JPEG", progressive=True))
    sources.append(encoded(picture.convert("CMYK"), "JPEG"))
    sources.append(encoded(picture.quantize(16), "PNG", transparency=3))
    sources.append(encoded(picture, "TIFF", compression="tiff_lzw"))
    sources.append(encoded(picture, "PNG", save_all=True, append_images=[picture.rotate(90), picture]))
    damaged = []
    for index, source in enumerate(sources):
        for turn in range(36):
            data = bytearray(source)
            way = turn % 6
            if way == 0:  # a few bytes anywhere
                for place in generator.integers(0, len(data), 1 + turn):
                    data[place] = generator.integers(0, 256)
            elif way == 1:  # bytes of the header
                for place in generator.integers(0, min(120, len(data)), 1 + turn // 6):
                    data[place] ^= 1 << int(generator.integers(0, 8))
            elif way == 2:  # cut short
                del data[int(generator.integers(1, len(data))) :]
            elif way == 3:  # a hole
                start = int(generator.integers(2, len(data) - 1))
                del data[start : start + int(generator.integers(1, 200))]
            elif way == 4:  # a run of one value
                start = int(generator.integers(2, len(data) - 1))
                stop = min(len(data), start + int(generator.integers(1, 64)))
                data[start:stop] = bytes([int(generator.choice([0, 127, 255]))]) * (stop - start)
            else:  # a part of it twice
                start = int(generator.integers(0, len(data)))
                data[start:start] = data[start // 2 : start]
            damaged.append((f"{index}-{turn}", bytes(data)))
    return damaged


def test_damaged_files_load_or_give_a_sentence(tmp_path: Path) -> None:
    cases = mutations(20261121)
    assert len(cases) >= 200
    outcomes: dict[str, int] = {}
    for name, data in cases:
        path = write(tmp_path, data)
        try:
            image = load_photo(path).image
        except PortraitHeadError as error:
            assert error.message, name
            assert error.hint, name
            outcomes[error.kind] = outcomes.get(error.kind, 0) + 1
        else:
            assert image.ndim == 3, name
            assert image.dtype == np.uint8, name
            outcomes["loaded"] = outcomes.get("loaded", 0) + 1
    # The damage must be real, and not so gross that nothing is put to the test.
    assert outcomes["photo_corrupt"] > 100
    assert outcomes["loaded"] > 20


def test_nothing_is_written_to_standard_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = encoded(Image.fromarray(gradient()), "TIFF", compression="tiff_lzw")
    for cut in (20, 200, len(data) - 5):
        with io.BytesIO(data[:cut]) as part:
            refusal(write(tmp_path, part.read()))
    assert capfd.readouterr().out == ""
