"""Two headlines of one alert: who gets which, and which one goes to the rest."""
