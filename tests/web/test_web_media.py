"""Pictures the bridge serves itself, and no other file of the machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_visitor import AS2, Visitor

from bridge.web import create_wsgi
from bridge.web.media import A_DAY, FOR_EVER, MAX_PICTURE

PNG = b"\x89PNG\r\n\x1a\nwhatever"
SECRET = b"\x89PNG secret"
HERE = "/ap/cafe/media/words/"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "content" / "deep").mkdir(parents=True)
    (tmp_path / "icon.png").write_bytes(PNG)
    (tmp_path / "secret.png").write_bytes(SECRET)
    content = tmp_path / "content"
    for name in ("bun.png", "deep/b\u00fcn 1.JPG", "a.webp", "a.gif", "a.avif", "a.jpeg"):
        (content / name).write_bytes(PNG)
    for name in ("post.md", "page.html", "logo.svg", "script.js", "activity.json", "noending"):
        (content / name).write_bytes(SECRET)
    (content / ".git").mkdir()
    (content / ".git" / "hidden.png").write_bytes(SECRET)
    (content / "folder.png").mkdir()
    (content / "link.png").symlink_to(tmp_path / "secret.png")
    (content / "linked").symlink_to(tmp_path)
    os.mkfifo(content / "pipe.png")
    with (content / "huge.png").open("wb") as huge:
        huge.truncate(MAX_PICTURE + 1)
    return content


def _services(make_services, more: str = ""):
    folder = f'[[sites.cafe.sources]]\nname = "words"\nfolder = "content"\n{more}'
    return make_services(site='icon = "icon.png"\n', sources=folder)


@pytest.fixture
def web(make_services, folder: Path) -> Visitor:
    return Visitor(create_wsgi(_services(make_services)))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("bun.png", "image/png"),
        ("deep/b%C3%BCn%201.JPG", "image/jpeg"),
        ("a.jpeg", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.gif", "image/gif"),
        ("a.avif", "image/avif"),
    ],
)
def test_a_picture_of_the_folder_is_served_as_what_it_is(web: Visitor, path: str, kind: str) -> None:
    answer = web.get(HERE + path, "image/*")
    assert answer.get_data() == PNG
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Cache-Control"] == A_DAY
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png",
        "..%2fsecret.png",
        "%2e%2e/secret.png",
        "deep/../../secret.png",
        "deep%2f..%2f..%2fsecret.png",
        "..%5csecret.png",
        "....//secret.png",
        "/secret.png",
        "//etc/passwd.png",
        "%2ftmp/secret.png",
        "./bun.png",
        "deep//bun.png",
        "bun.png/",
        "bun.png%00.png",
        "%00.png",
        "bun.png%0a",
        "%ff%fe.png",
        "link.png",
        "linked/secret.png",
        "pipe.png",
        "folder.png",
        "huge.png",
        "post.md",
        "page.html",
        "logo.svg",
        "script.js",
        "activity.json",
        "noending",
        ".git/hidden.png",
        "nothing.png",
        "a" * 300 + ".png",
        "/".join(["deep"] * 2000) + ".png",
    ],
)
def test_no_other_file_is_served(web: Visitor, path: str) -> None:
    answer = web.get(HERE + path, "image/*")
    assert answer.status_code == 404
    assert SECRET not in answer.get_data()


@pytest.mark.parametrize("spelled", ["{tmp}/secret.png", "%2f{tmp}/secret.png", "..{tmp}/secret.png"])
def test_an_absolute_path_leads_nowhere(web: Visitor, tmp_path: Path, spelled: str) -> None:
    assert web.get(HERE + spelled.format(tmp=tmp_path), "image/*").status_code == 404


@pytest.mark.parametrize("source", ["unknown", "content", "..", "%00"])
def test_only_the_folders_of_the_config_are_served(web: Visitor, source: str) -> None:
    assert web.get(f"/ap/cafe/media/{source}/bun.png").status_code == 404


def test_links_are_followed_where_the_owner_allows_it_but_never_out_of_the_folder(
    make_services, folder: Path
) -> None:
    (folder / "inside.png").symlink_to(folder / "bun.png")
    web = Visitor(create_wsgi(_services(make_services, "allow_symlinks = true\n")))
    assert web.get(f"{HERE}inside.png").get_data() == PNG
    for path in ("link.png", "linked/secret.png"):
        assert web.get(HERE + path).status_code == 404


def test_a_folder_with_a_website_of_its_own_is_not_served_here(make_services, folder: Path) -> None:
    web = Visitor(create_wsgi(_services(make_services, 'url = "https://cafe.example/{slug}/"\n')))
    assert web.get(f"{HERE}bun.png").status_code == 404


def test_refused_pictures_leave_no_file_open(web: Visitor) -> None:
    web.get(f"{HERE}bun.png")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("folder.png", "pipe.png", "huge.png", "link.png", "../secret.png", "bun.png"):
        for _ in range(20):
            web.get(HERE + path)
    assert len(os.listdir("/proc/self/fd")) <= before + 1


# ── a profile's pictures ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def icon(web: Visitor) -> Iterator[str]:
    yield web.read("/ap/cafe")["icon"]["url"]


def test_a_profiles_picture_may_be_kept_for_ever_because_its_address_is_its_own(
    web: Visitor, icon: str
) -> None:
    answer = web.get(icon)
    assert (answer.get_data(), answer.headers["Cache-Control"]) == (PNG, FOR_EVER)


def test_a_new_picture_has_a_new_address_and_the_old_one_shows_it_too(
    make_services, tmp_path: Path, web: Visitor, icon: str
) -> None:
    (tmp_path / "icon.png").write_bytes(PNG + b"new")
    answer = web.get(icon)
    assert (answer.get_data(), answer.headers["Cache-Control"]) == (PNG + b"new", A_DAY)
    renewed = Visitor(create_wsgi(_services(make_services))).read("/ap/cafe")["icon"]["url"]
    assert renewed != icon
    assert web.get(renewed).headers["Cache-Control"] == FOR_EVER


def test_an_actor_whose_picture_got_lost_is_still_served(make_services, tmp_path: Path, folder: Path) -> None:
    services = _services(make_services)
    (tmp_path / "icon.png").unlink()
    web = Visitor(create_wsgi(services))
    assert "icon" not in web.read("/ap/cafe")
    assert web.get("/ap/cafe/pictures/icon-123456789abc.png").status_code == 404
    for path in ("/", "/ap/cafe/feed", "/.well-known/webfinger?resource=cafe@cafe.example"):
        assert web.get(path).status_code == 200


@pytest.mark.parametrize(
    "name", ["header-x.png", "..", "icon.toml", "config.toml", "%2e%2e%2fconfig.toml", "-"]
)
def test_no_other_name_leads_to_another_file(web: Visitor, tmp_path: Path, name: str) -> None:
    answer = web.get(f"/ap/cafe/pictures/{name}", AS2)
    assert answer.status_code in (200, 404)
    assert answer.status_code == 404 or answer.get_data() == PNG
