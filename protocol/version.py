"""Who we are, in the forms in which the field asks for it. setup.cfg says the same number; a test keeps them equal."""

from typing import Final

VERSION: Final = "0.1.0"
CLIENT_VERSION: Final = f"Evenswarm {VERSION}"          # `v` of the extension handshake (BEP 10), `created by` of a .torrent
USER_AGENT: Final = f"Evenswarm/{VERSION}"              # HTTP
PEER_ID_PREFIX: Final = b"-EW" + "".join(VERSION.split(".")).ljust(4, "0").encode() + b"-"     # Azureus style (BEP 20)
