"""What alerts did, as editors see it: the list, one alert, a month, the audience."""
