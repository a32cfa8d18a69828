from sqlalchemy import text


def test_time_zones_are_known(session):
    assert session.execute(text("select count(*) from time_zone")).scalar() > 300
