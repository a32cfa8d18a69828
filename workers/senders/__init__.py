"""The HTTP clients behind `workers.gateway`: libcurl for speed, httpx to trace and to stand in."""
