"""Content folders as the config names them."""

from zoneinfo import ZoneInfo

from bridge.config import FolderSource
from bridge.services import Services
from bridge.sources.folder import Folder


def folder_of(services: Services, site: str, source: FolderSource) -> Folder:
    """Describe a configured folder; without a URL template the bridge itself serves its pictures."""

    def media_url(path: str) -> str:
        return services.ids.media(site, f"{source.name}/{path}")

    return Folder(
        root=source.folder,
        site_url=services.site(site).website,
        url_template=source.url,
        media_url=None if source.url else media_url,
        allow_symlinks=source.allow_symlinks,
        zone=ZoneInfo(services.site(site).timezone),
    )
