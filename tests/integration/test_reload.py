"""A balancer that reads its configuration again while requests run: nothing fails, streams go on, and a bad file changes nothing."""

import http.client
import json
import signal
import socket
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scalability.testing.client import HTTPClient
from scalability.testing.load import Load
from scalability.testing.processes import Process
from scalability.testing.waiting import until

Start = Callable[..., Process]
