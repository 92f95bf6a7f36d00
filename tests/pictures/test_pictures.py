"""Pictures are measured as people see them, copied where servers could not show them, and cannot hurt us."""

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

import blurhash
import pytest
from drawings import (
    HEIC,
    HTML,
    SECRET,
    SVG,
    animation,
    drawing,
    gif_bomb,
    heic,
    heic_bomb,
    opened,
    photo,
    png_bomb,
    saved,
    webp_bomb,
)
from PIL import Image

from bridge.errors import BadPicture
from bridge.pictures import (
    MAX_BYTES,
    drop_oldest,
    examine,
    examine_apart,
    find_copy,
    keep_copy,
    sniff,
)

PLAIN = {
    "image/jpeg": saved(drawing(), "JPEG"),
    "image/png": saved(drawing(), "PNG"),
    "image/gif": saved(drawing(mode="P"), "GIF"),
    "image/webp": saved(drawing(), "WEBP"),
}
AVIF = saved(drawing(), "AVIF")


# ── what it is ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        *((body, kind) for kind, body in PLAIN.items()),
        (AVIF, "image/avif"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + b"\0" * 20, "image/avif"),
        (HEIC, "image/heic"),
        (SVG, "image/svg+xml"),
        (b"\xef\xbb\xbf  <SVG viewBox='0 0 1 1'/>", "image/svg+xml"),
        (HTML, "text/html"),
        (b"<html><body><svg></svg></body></html>", "text/html"),
        (saved(drawing(), "TIFF"), "image/tiff"),
        (saved(drawing(), "BMP"), "image/bmp"),
        (b"", ""),
        (b"GIF", ""),
        (b"RIFF\0\0\0\0WAVEfmt ", ""),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp42", ""),
        (b"<?xml version='1.0'?><rss/>", ""),
    ],
)
def test_bytes_are_known_by_their_beginning(body: bytes, kind: str) -> None:
    assert sniff(body) == kind


@pytest.mark.parametrize("kind", PLAIN)
def test_what_every_server_shows_stays_where_it_is(kind: str) -> None:
    seen = examine(PLAIN[kind])
    assert (seen.media_type, seen.width, seen.height, seen.copy) == (kind, 64, 48, b"")
    assert len(seen.blurhash) == 4 + 2 * 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_as_wide_as_people_see_it(orientation: int) -> None:
    seen = examine(photo(orientation))
    assert (seen.width, seen.height) == ((64, 48) if orientation < 5 else (48, 64))
    assert seen.copy == b""


def test_a_small_animation_is_left_alone() -> None:
    assert examine(animation()).copy == b""
    assert examine(animation(), at_home=True).copy == b""


# ── copies ───────────────────────────────────────────────────────────────────────────────────────


def test_an_avif_is_copied_as_a_jpeg() -> None:
    seen = examine(AVIF)
    copy = opened(seen.copy)
    assert (seen.media_type, copy.format, copy.size) == ("image/jpeg", "JPEG", (64, 48))
    assert (seen.width, seen.height) == copy.size
    assert _near(copy.getpixel((40, 10)), (255, 0, 0))


def test_what_is_see_through_stays_so() -> None:
    seen = examine(saved(_clear(), "AVIF", quality=100))
    assert seen.media_type == "image/png"
    assert opened(seen.copy).getpixel((0, 0))[3] < 40


# ── HEIC, as phones take it ──────────────────────────────────────────────────────────────────────


def test_a_heic_is_copied_as_a_jpeg() -> None:
    seen = examine(heic())
    copy = opened(seen.copy)
    assert (seen.media_type, copy.format, copy.size) == ("image/jpeg", "JPEG", (64, 48))
    assert (seen.width, seen.height) == copy.size
    assert _near(copy.getpixel((40, 10)), (255, 0, 0))


def test_a_heic_of_tiles_is_one_picture() -> None:
    body = heic(1100, 900, tile_size=512)
    assert b"grid" in body
    copy = opened(examine(body).copy)
    assert copy.size == (1100, 900)
    for x in (20, 500, 530, 1080):
        assert _near(copy.getpixel((x, 430)), (255, 0, 0))
        assert _near(copy.getpixel((x, 470)), (0, 0, 255))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_heic_stands_upright_and_tells_nothing(orientation: int) -> None:
    exif = _turned(orientation)
    exif[0x010E] = SECRET.decode()
    seen = examine(heic(exif=exif.tobytes()))
    copy = opened(seen.copy)
    assert copy.size == ((64, 48) if orientation < 5 else (48, 64))
    expected = opened(examine(photo(orientation), at_home=True).copy)
    for place in ((5, 5), (5, 43), (43, 5), (43, 43)):
        assert _near(copy.getpixel(place), expected.getpixel(place), 60)  # two ways to lose a little
    assert SECRET not in seen.copy
    assert not copy.getexif()


def test_what_is_see_through_in_a_heic_stays_so() -> None:
    seen = examine(heic(image=_clear()))
    assert seen.media_type == "image/png"
    assert opened(seen.copy).getpixel((0, 0))[3] < 40


def test_a_heic_with_ten_bits_has_the_same_colours() -> None:
    ten = Image.merge("RGB", [Image.new("L", (64, 48), value) for value in (200, 100, 50)])
    copy = opened(examine(heic(image=ten, bits=10)).copy)
    assert _near(copy.getpixel((30, 20)), (200, 100, 50))


def test_a_heic_is_refused_where_nothing_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    body = heic()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(BadPicture, match="export it as JPEG, or install pillow-heif for the bridge"):
        asyncio.run(examine_apart(body))


def test_a_broken_heic_costs_itself_and_nobody_waits() -> None:
    """Flip and cut; five hundred of each were tried when this was written."""
    chance = random.Random(1)
    body = heic(300, 200, tile_size=128)
    for _ in range(12):
        broken = bytearray(body[: chance.choice([len(body), chance.randrange(40, len(body))])])
        for _ in range(chance.choice([1, 8, 64])):
            broken[chance.randrange(16, len(broken))] = chance.randrange(256)
        try:
            seen = asyncio.run(examine_apart(bytes(broken)))
        except BadPicture as refused:
            assert str(refused).startswith("it ")
        else:
            assert opened(seen.copy).size == (seen.width, seen.height)


def _clear(width: int = 64, height: int = 48) -> Image.Image:
    image = drawing(width, height, mode="RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 8, 8))
    return image


# ── more copies ──────────────────────────────────────────────────────────────────────────────────


def test_a_large_see_through_picture_becomes_webp() -> None:
    noise = Image.frombytes("RGBA", (4200, 700), os.urandom(4200 * 700 * 4))
    seen = examine(saved(noise, "PNG", compress_level=0), at_home=True)
    assert (seen.media_type, opened(seen.copy).format) == ("image/webp", "WEBP")
    assert max(seen.width, seen.height) == 2048


@pytest.mark.parametrize("size", [(5000, 1000), (1000, 5000), (8000, 6000)])
def test_a_huge_picture_is_copied_smaller_in_its_own_shape(size: tuple[int, int]) -> None:
    seen = examine(saved(drawing(*size), "JPEG"))
    assert max(seen.width, seen.height) == 2048
    assert abs(seen.width / seen.height - size[0] / size[1]) < 0.01
    assert opened(seen.copy).size == (seen.width, seen.height)


def test_a_cmyk_picture_is_copied_in_the_colours_of_screens() -> None:
    seen = examine(saved(drawing(mode="CMYK"), "JPEG"))
    copy = opened(seen.copy)
    assert copy.mode == "RGB"
    assert _near(copy.getpixel((40, 10)), (255, 0, 0))
    assert _near(copy.getpixel((40, 40)), (0, 0, 255))


def test_an_animation_larger_than_mastodon_takes_becomes_a_still_picture() -> None:
    seen = examine(animation(1300, 720))
    assert (seen.media_type, seen.width, seen.height) == ("image/jpeg", 1300, 720)


def test_a_16_bit_picture_is_not_all_white() -> None:
    body = saved(Image.new("I;16", (5000, 8), 20_000), "PNG")
    assert _near(opened(examine(body).copy).getpixel((0, 0)), (78, 78, 78))


def test_our_copies_say_nothing_about_who_took_them_and_where() -> None:
    for body in (photo(6), photo(6, 5000, 100)):
        seen = examine(body, at_home=True)
        copy = opened(seen.copy)
        assert seen.copy
        assert not copy.getexif()
        assert {"exif", "xmp", "comment", "icc_profile"} & copy.info.keys() == set()
        assert SECRET not in seen.copy


def test_our_copies_stand_upright() -> None:
    turned = saved(drawing().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=_turned(6))
    copy = opened(examine(turned, at_home=True).copy)
    assert copy.size == (64, 48)
    assert _near(copy.getpixel((40, 10)), (255, 0, 0))
    assert _near(copy.getpixel((40, 40)), (0, 0, 255))


def test_a_png_with_metadata_behind_its_pixels_is_copied_too() -> None:
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    body = saved(drawing(), "PNG", exif=exif)
    eXIf = body.index(b"eXIf") - 4
    length = int.from_bytes(body[eXIf : eXIf + 4], "big") + 12
    end = body.index(b"IEND") - 4
    late = body[:eXIf] + body[eXIf + length : end] + body[eXIf : eXIf + length] + body[end:]
    assert SECRET not in examine(late, at_home=True).copy
    assert examine(late, at_home=True).copy


def test_at_home_only_what_tells_something_is_copied() -> None:
    assert examine(PLAIN["image/jpeg"], at_home=True).copy == b""
    heavy = PLAIN["image/jpeg"] + b"\0" * MAX_BYTES
    assert examine(heavy, at_home=True).copy
    assert examine(photo(6)).copy == b""  # theirs to publish


def test_colours_of_a_profile_become_those_of_screens() -> None:
    profile = _swapped_profile()
    plain = opened(examine(saved(drawing(5000, 40), "JPEG"), at_home=True).copy)
    managed = opened(examine(saved(drawing(5000, 40), "JPEG", icc_profile=profile), at_home=True).copy)
    assert managed.getpixel((1500, 4)) != plain.getpixel((1500, 4))
    assert "icc_profile" not in managed.info
    broken = examine(saved(drawing(5000, 40), "JPEG", icc_profile=b"no profile"), at_home=True)
    assert _near(opened(broken.copy).getpixel((1500, 4)), (255, 0, 0))


def _swapped_profile() -> bytes:
    """Return an sRGB profile whose red and blue primaries changed places."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"tXYZ", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tXYZ", b"bXYZ", 1)


def _turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _near(color, wanted, most: int = 12) -> bool:
    return all(abs(one - other) < most for one, other in zip(color, wanted, strict=True))


# ── what is refused ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (HTML, "a web page instead of a picture"),
        (HEIC, "damaged"),
        (saved(drawing(), "TIFF"), "TIFF"),
        (b"", "not a picture"),
        (b"hello", "not a picture"),
        (PLAIN["image/jpeg"][:300], "damaged"),
        (PLAIN["image/png"][:60], "damaged"),
        (AVIF[:200], "it "),
        (PLAIN["image/webp"][:40], "damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "damaged"),
        (b"\xff\xd8\xff" + os.urandom(500), "it "),
        (gif_bomb(), "65535 × 65535 pixels"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_named(body: bytes, why: str) -> None:
    with pytest.raises(BadPicture, match=why) as refused:
        asyncio.run(examine_apart(body))
    assert str(refused.value).startswith("it ")


@pytest.mark.parametrize("side", [1, 16, 31])
def test_pixels_that_count_readers_and_icons_are_refused_without_a_word(side: int) -> None:
    with pytest.raises(BadPicture, match=r"^$"):
        examine(saved(Image.new("L", (side, side)), "GIF"))


def test_a_name_or_a_polyglot_does_not_matter_only_the_pixels_do() -> None:
    body = PLAIN["image/gif"] + b"<script>alert(1)</script><?php system('id') ?>"
    assert examine(body).media_type == "image/gif"
    copy = examine(photo(1) + b"<script>alert(1)</script>", at_home=True).copy
    assert b"script" not in copy


# ── a process of its own ─────────────────────────────────────────────────────────────────────────

_WEIGHED = (
    "import runpy, sys; status = open('/proc/self/status');"
    "runpy.run_module('bridge.pictures', run_name='__main__');"
    "sys.stderr.write(status.read().split('VmHWM:')[1].split()[0])"
)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (png_bomb(), b"20000 \\u00d7 20000 pixels"),
        (webp_bomb(), b"error"),
        (saved(Image.new("RGB", (5700, 5800), "red"), "PNG"), b'"width": 2013'),
        (heic_bomb(), b"16000 \\u00d7 16000 pixels"),
    ],
    ids=["png", "webp", "as large as allowed", "heic"],
)
def test_no_picture_takes_more_memory_than_it_may(body: bytes, said: bytes) -> None:
    _weigh(body, said)


def test_a_heic_may_be_as_large_as_phones_take_it() -> None:
    _weigh(heic(image=Image.new("RGB", (8064, 6048), "red")), b'"width": 2048, "height": 1536')


def _weigh(body: bytes, said: bytes) -> None:
    ran = subprocess.run([sys.executable, "-c", _WEIGHED], input=body, capture_output=True, timeout=20)
    assert said in ran.stdout.partition(b"\n")[0]
    assert int(ran.stderr) < 500_000  # kilobytes


_LIMITED = (
    "import resource as r, runpy, sys; score = open('/proc/self/oom_score_adj');"
    "runpy.run_module('bridge.pictures', run_name='__main__');"
    "kinds = (r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_NOFILE);"
    "sys.stderr.write(repr([r.getrlimit(kind)[1] for kind in kinds]) + score.read())"
)


def test_the_process_limits_itself_and_goes_first_when_memory_runs_out() -> None:
    ran = subprocess.run([sys.executable, "-c", _LIMITED], input=b"", capture_output=True, timeout=20)
    assert ran.stderr.decode().strip() == f"[{768 * 1024 * 1024}, 10, 0, 0]1000"


_TRYING = """
import os, runpy, socket, sys
runpy.run_module("bridge.pictures", run_name="__main__")
for attempt in (lambda: open(sys.argv[1]), socket.socket, lambda: os.listdir("/"), os.pipe):
    try:
        attempt()
    except OSError as error:
        sys.stderr.write(f"{error.errno} ")
os.closerange(0, 2)  # whoever took the process over may free descriptors, which helps with nothing
try:
    open(sys.argv[1])
except OSError as error:
    sys.stderr.write(f"{error.errno}")
"""


@pytest.mark.parametrize("kind", ["image/png", "image/webp"])
def test_the_process_can_open_nothing_once_it_looks(tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "identity.json"
    secret.write_text("the keys")
    command = [sys.executable, "-c", _TRYING, str(secret)]
    ran = subprocess.run(command, input=PLAIN[kind], capture_output=True, timeout=20)
    assert b'"media_type"' in ran.stdout
    assert ran.stderr.decode() in ("24 24 24 24 24", "13 24 13 24 13")  # no descriptor; no permission


def test_the_process_answers_what_the_function_does() -> None:
    late = saved(drawing(5000, 40), "JPEG", icc_profile=_swapped_profile())  # needs a library of its own
    for body in (*PLAIN.values(), AVIF, heic(), animation(1300, 720), late, saved(drawing(), "MPO")):
        assert asyncio.run(examine_apart(body)) == examine(body)
    for body in (photo(6), photo(6, 5000, 100), saved(_clear(), "PNG"), saved(_clear(4200, 700), "WEBP")):
        assert asyncio.run(examine_apart(body, at_home=True)) == examine(body, at_home=True)


def test_the_worker_and_the_web_process_do_without_pillow() -> None:
    loaded = "import bridge.web, bridge.worker, sys; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], timeout=20).returncode == 0


def test_the_process_is_told_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDIBRIDGE_DATABASE", "postgresql://bridge:secret@db/bridge")
    environments = []

    async def watch() -> None:
        work = asyncio.ensure_future(examine_apart(PLAIN["image/png"]))
        while not (children := _children()):
            await asyncio.sleep(0.001)
        environments.append(Path(f"/proc/{children[0]}/environ").read_bytes())
        await work

    asyncio.run(watch())
    assert b"PYTHONPATH" in environments[0]
    assert b"secret" not in environments[0]


def test_a_process_that_takes_too_long_is_ended() -> None:
    with pytest.raises(BadPicture, match=r"takes more than 0\.01 s"):
        asyncio.run(examine_apart(PLAIN["image/png"], seconds=0.01))
    assert _children() == []


def test_a_process_ends_with_whoever_waits_for_it() -> None:
    async def give_up() -> None:
        work = asyncio.ensure_future(examine_apart(PLAIN["image/png"]))
        while not _children():
            await asyncio.sleep(0.001)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(give_up())
    assert _children() == []


def _children() -> list[str]:
    """Name the processes below this one that look at pictures."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rpartition(")")[2].split()[1]
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == os.getpid() and b"bridge.pictures" in command:
            found.append(stat.parent.name)
    return found


# ── what its process can do ──────────────────────────────────────────────────────────────────────


def test_the_process_that_unpacks_a_picture_can_open_no_file_and_no_connection(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("found")
    program = (
        "import socket, sys; from bridge.pictures.confine import bound, shut\n"
        "bound()\n"
        "if sys.argv[2] == 'shut': shut()\n"
        "for attempt in (lambda: open(sys.argv[1]).read(), lambda: socket.socket() and 'dialled'):\n"
        "    try: sys.stdout.write(attempt())\n"
        "    except OSError: sys.stdout.write('-')\n"
    )
    for how, said in (("open", "founddialled"), ("shut", "--")):
        command = [sys.executable, "-c", program, str(secret), how]
        assert subprocess.run(command, capture_output=True, timeout=20, check=True, text=True).stdout == said


# ── blurhashes ───────────────────────────────────────────────────────────────────────────────────


def test_a_blurhash_shows_the_pictures_colours_where_they_are() -> None:
    two = Image.new("RGB", (320, 240), (0, 0, 255))
    two.paste((255, 0, 0), (0, 0, 320, 120))
    unpacked = blurhash.decode(examine(saved(two, "PNG")).blurhash, 32, 24)
    top, bottom = unpacked[3][16], unpacked[20][16]
    assert top[0] > 200 > 100 > top[2]
    assert bottom[2] > 200 > 100 > bottom[0]


def test_the_blurhash_of_black_is_known_from_elsewhere() -> None:
    def of(color: str, size: tuple[int, int]) -> str:
        return examine(saved(Image.new("RGB", size, color), "PNG")).blurhash

    assert of("black", (640, 640)) == "L00000fQfQfQfQfQfQfQfQfQfQfQ"
    assert of("white", (640, 640))[2:] == "TSUA~qfQ~q~qoffQoffQfQfQfQ"
    assert of("red", (300, 400))[0] == "T"  # 3 × 4 parts, for what stands upright
    assert len(of("red", (1, 400))) == len(of("red", (400, 1))) == 28


# ── files of copies ──────────────────────────────────────────────────────────────────────────────


def test_a_copy_is_kept_once_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "pictures"
    name = keep_copy(folder, b"a picture", "image/jpeg")
    assert keep_copy(folder, b"a picture", "image/jpeg") == name
    assert [path.name for path in folder.iterdir()] == [name]
    assert find_copy(folder, name).read_bytes() == b"a picture"
    assert (folder.stat().st_mode & 0o777, (folder / name).stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../secret.jpg", "x.jpg", "a" * 64 + ".html", "A" * 64 + ".jpg"]
)
def test_only_copies_are_found(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for file in (tmp_path / "secret.jpg", folder / "x.jpg", folder / ("a" * 64 + ".html")):
        file.write_bytes(b"secret")
    assert find_copy(folder, name) is None


def test_the_oldest_copies_that_nobody_shows_go_first(tmp_path: Path) -> None:
    names = [keep_copy(tmp_path, bytes([number]), "image/png") for number in range(6)]
    for age, name in enumerate(names):
        os.utime(tmp_path / name, (1_000 + age, 1_000 + age))
    shown = {names[0]}
    assert drop_oldest(tmp_path, lambda: shown, most=3) == 3
    assert {path.name for path in tmp_path.iterdir()} == {names[0], names[4], names[5]}
    assert drop_oldest(tmp_path, lambda: shown, most=10, most_bytes=2) == 1
    assert find_copy(tmp_path, names[0])


def test_whether_copies_are_shown_is_not_asked_while_there_is_room(tmp_path: Path) -> None:
    def ask() -> set[str]:
        raise AssertionError("nobody needs to know")

    assert drop_oldest(tmp_path / "not yet there", ask) == 0
    keep_copy(tmp_path, b"a picture", "image/png")
    assert drop_oldest(tmp_path, ask) == 0
