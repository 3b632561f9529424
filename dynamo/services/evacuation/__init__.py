"""Sites that are given up: emptied, shown, and what is lost there declared so."""
