"""The other side of every provider's contract, written from the providers' public rules.

One program serves Apple's, Google's, a Web Push service's, Huawei's and Expo's part over real TLS
and HTTP/2, as strict as they are, and keeps what each device received. `python -m
workers.standins` runs it; `process.start` runs it for a test. A stand-in's rules stand in the
file named for its provider; `weather.py` is how any of them can be told to misbehave.
"""
