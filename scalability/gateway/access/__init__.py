"""Who may pass: JSON Web Tokens, API keys, origins (CORS), and how large a body may be."""
