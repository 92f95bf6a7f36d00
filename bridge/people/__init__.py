"""Other people: their documents, fetched within a budget, and who of them a post mentions."""
