from tests.standins.senders import DATA, DEVICE, WORDS


def test_apns(apple, control):
    r = apple.push()
    assert r.status_code == 200, r.text
    print(control.get("/control/pushes").json())


def test_fcm(google, control):
    r = google.push()
    assert r.status_code == 200, r.text
    print(control.get("/control/pushes").json())


def test_wp(mozilla, browser, control):
    r = mozilla.push(browser)
    assert r.status_code == 201, r.text
    print(control.get("/control/pushes").json(), control.get("/control/stats").json())
    assert r.http_version == "HTTP/2"
