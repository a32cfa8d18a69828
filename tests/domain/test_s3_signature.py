"""Signatures of S3-like storage, beside the examples of Amazon's documentation."""

from datetime import UTC, datetime

import pytest

from service.media.s3_signature import Credentials, escape_path, signed_headers
from service.media_settings import Bucket, parse_bucket

CREDENTIALS = Credentials(
    "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"
)
MAY_2013 = datetime(2013, 5, 24, tzinfo=UTC)
SITE = "https://examplebucket.s3.amazonaws.com"
EXAMPLES = [
    (
        "GET",
        f"{SITE}/test.txt",
        {"Range": "bytes=0-9"},
        b"",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    (
        "PUT",
        f"{SITE}/{escape_path('test$file.text')}",
        {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
        b"Welcome to Amazon S3.",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
]


@pytest.mark.parametrize(("method", "url", "headers", "content", "signature"), EXAMPLES)
def test_requests_are_signed_as_amazons_examples_are(method, url, headers, content, signature):
    signed = signed_headers(method, url, headers, content, CREDENTIALS, MAY_2013)
    assert signed["authorization"].endswith(f"Signature={signature}")


def test_an_address_names_bucket_prefix_endpoint_and_region():
    address = "s3://news/pictures/?endpoint=https://minio.example:9000/&region=eu-central-1"
    bucket = Bucket("news", "pictures", "https://minio.example:9000", "eu-central-1")
    assert parse_bucket(address) == bucket
    assert parse_bucket("s3://news").endpoint == "https://s3.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    "address",
    [
        "s3://",
        "s3:///prefix",
        "s3://news?endpoint=minio",
        "s3://news?endpoint=https://a.example/path",
        "s3://news?regoin=x",
    ],
)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ValueError, match=r"s3://bucket/prefix\?endpoint="):
        parse_bucket(address)
