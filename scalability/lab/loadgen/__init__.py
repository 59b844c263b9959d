"""Load generation: a raw keep-alive client, a schedule that decides when it sends, a recorder, and what the user is told."""
