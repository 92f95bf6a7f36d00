"""An application of the web process, served on a free port of loopback by a thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.serving import make_server


@contextmanager
def web_process(make_app) -> Iterator[int]:
    """Serve an application on a free port, in a thread; `make_app` is told which."""
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True)
    server.app = make_app(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
