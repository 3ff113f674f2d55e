"""What the tests of several formats put into their files."""

import base64
from typing import Final

PNG: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAKElEQVR4nO3NsQ0AAAzCMP5/un0CNkuZ41wybXsHAAAAAAAAAAAAxR4yw/wu"
    "PL6QkAAAAABJRU5ErkJggg=="
)
"""An image of 32 by 32 pixels."""
