"""The one door out: `client` asks, within limits on time, size, redirects and addresses."""
