"""The scripts find each other in their own folder, which is not on the path of the tests (it has a ``test.py``)."""

import sys

from tools import _bootstrap

sys.modules.setdefault("_bootstrap", _bootstrap)
