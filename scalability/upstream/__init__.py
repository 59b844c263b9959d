"""The servers behind a proxy: selection, health, discovery."""
