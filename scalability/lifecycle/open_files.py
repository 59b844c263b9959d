"""As many open files as the system lets us have: every connection is one, and the usual soft limit of 1,024 is soon reached."""

import resource

CEILING = 65_536
"""No more is asked for: some containers allow a thousand million, and there are programs that close each of them one by one."""


def raise_open_files() -> int:
    """Raise the soft limit of open files to the hard one, at most to ``CEILING``; never lower it. Returns the limit in force.

    The servers do without ``select``, the only call that cannot take descriptors above 1,023.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CEILING if hard == resource.RLIM_INFINITY else min(hard, CEILING)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # macOS refuses what it announces; the soft limit stands
        return soft
    return wanted
