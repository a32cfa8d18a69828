from service.sealing import SealKeys, is_current, seal, unseal

KEYS = SealKeys("a secret that only tests know")


def test_a_sealed_secret_is_opened_for_its_owner_alone():
    sealed = seal(KEYS, "open sesame", "app:sport")
    assert b"sesame" not in sealed
    assert unseal(KEYS, sealed, "app:sport") == b"open sesame"
    assert unseal(KEYS, sealed, "app:other") == b""
    assert unseal(KEYS, sealed[:-1] + b"\0", "app:sport") == b""
    assert unseal(SealKeys("another secret of ours"), sealed, "app:sport") == b""


def test_a_secret_of_an_earlier_key_is_opened_and_known_as_such():
    new = SealKeys("the secret of this year", earlier=[KEYS.current])
    sealed = seal(KEYS, "open sesame", "app:sport")
    assert unseal(new, sealed, "app:sport") == b"open sesame"
    assert is_current(KEYS, sealed)
    assert not is_current(new, sealed)
    assert "this year" not in repr(new)


def test_a_secret_that_was_sealed_before_keys_had_ids_is_opened():
    with_id = seal(KEYS, "open sesame", "7")
    assert unseal(KEYS, with_id[8:], "7") == b"open sesame"
