"""What providers are built from: words, payloads, answers, signing, encryption."""
