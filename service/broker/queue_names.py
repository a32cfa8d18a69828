"""The names of the queues, for those who need nothing else of the broker."""

QUEUES = ("urgent", "normal")
"""The queues of all pushes, the most urgent first; `domain.alert.queue_of` chooses one of them."""
STRANGERS_QUEUE = "strangers"
"""For pushes to servers that nobody named: a worker of their own takes them."""
