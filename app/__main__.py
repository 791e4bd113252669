"""``python -m app COMMAND``: see `app.cli`."""

import console
from app.cli import main

if __name__ == "__main__":
    raise SystemExit(console.run(main))
