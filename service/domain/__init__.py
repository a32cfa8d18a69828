"""What is true of news alerts anywhere: pure values and decisions, standard library only.

Nothing here reads a clock, draws a random number, opens a socket or knows a table; time and
randomness are arguments.
"""
