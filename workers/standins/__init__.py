"""The other side of each provider's contract, written from the providers' public rules.

One program plays Apple's, Google's, Huawei's and Expo's servers and a Web Push service, over real
TLS and HTTP/2. It is as strict as they are and keeps what each device received. `python -m
workers.standins` runs it; `process.start` runs it for a test. The rules of a provider are in the
file with its name in `providers/`; `misbehaviour/` says how each can be told to misbehave.
"""
