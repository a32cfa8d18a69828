// The worker's half of the web kit: shows alerts, opens stories, sends receipts, renews subscriptions.
// One line brings it into any worker: importScripts("https://push.example/kit/newszop-sw.js").
// A push that is not ours is left to the worker's own code.
(() => {
  const UNSENT = "newszop-unsent";
  const settings = self.newszopSettings ?? {};

  // -- who we are: given by the worker's own file, by its address, or by the page through IndexedDB

  async function findAccount(alert) {
    const query = new URL(self.location.href).searchParams;
    const stored = await readStored();
    return {
      server: settings.server ?? stored.server ?? query.get("server") ?? (alert?.url ? new URL(alert.url).origin : null),
      app: stored.app ?? query.get("app") ?? "webpush",
      token: stored.token ?? null,
    };
  }

  function readStored() {
    return new Promise((resolve) => {
      try {
        const opening = indexedDB.open("newszop", 1);
        opening.onupgradeneeded = () => opening.result.createObjectStore("settings");
        opening.onerror = () => resolve({});
        opening.onsuccess = () => {
          const reading = opening.result.transaction("settings").objectStore("settings").get("settings");
          reading.onsuccess = () => resolve(reading.result ?? {});
          reading.onerror = () => resolve({});
        };
      } catch (error) {
        resolve({});
      }
    });
  }

  function call(account, method, path, body) {
    const headers = { "Content-Type": "application/json" };
    if (account.token) headers.Authorization = `Bearer ${account.token}`;
    return fetch(account.server + path, { method, headers, body: JSON.stringify(body), credentials: "omit" });
  }

  // -- alerts

  self.addEventListener("push", (event) => {
    const alert = parseAlert(event.data);
    if (!alert) return;
    event.stopImmediatePropagation();
    event.waitUntil(showAlert(alert).then(() => sendReceipt(alert, "shown")));
  });

  function parseAlert(data) {
    try {
      const alert = data.json();
      return alert.receipt && alert.alert_id ? alert : null;
    } catch (error) {
      return null;
    }
  }

  function showAlert(alert) {
    return self.registration.showNotification(alert.title || settings.site || "", {
      body: alert.body ?? "",
      icon: alert.icon,
      badge: settings.badge,
      image: alert.image,
      tag: alert.tag,
      renotify: Boolean(alert.tag) && !alert.silent,
      silent: Boolean(alert.silent) || alert.urgency === "quiet",
      requireInteraction: alert.urgency === "breaking",
      lang: alert.lang ?? "",
      dir: alert.dir ?? "auto",
      timestamp: Date.now(),
      data: { newszop: { url: alert.url, receipt: alert.receipt, story: alert.story_id } },
      actions: [{ action: "read", title: "Read" }, ...(settings.actions ?? [])],
    });
  }

  self.addEventListener("notificationclick", (event) => {
    const alert = event.notification.data?.newszop;
    if (!alert) return;
    event.stopImmediatePropagation();
    event.notification.close();
    const act = settings.onAction?.[event.action];
    event.waitUntil(act ? act(alert) : Promise.all([openPage(alert.url), sendReceipt(alert, "opened")]));
  });

  // The address is the server's: only it can encrypt and sign an alert for this browser.
  async function openPage(url) {
    const target = new URL(url ?? "/", self.location.origin);
    if (!/^https?:$/.test(target.protocol)) return null;
    const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
    const openedPage = pages.find((page) => page.url.split("#")[0] === target.href);
    return openedPage ? openedPage.focus() : self.clients.openWindow(target.href);
  }

  // A receipt that could not be sent is stored, and sent with the next one.
  async function sendReceipt(alert, kind) {
    if (!alert.receipt) return;
    const account = await findAccount(alert);
    const cache = await caches.open(UNSENT);
    const receipt = { receipt: alert.receipt, kind };
    if (!(await postReceipt(account, receipt))) {
      await cache.put(`/newszop-receipts/${kind}/${alert.receipt}`, new Response(JSON.stringify(receipt)));
      return;
    }
    for (const key of await cache.keys()) {
      if (!(await postReceipt(account, await (await cache.match(key)).json()))) return;
      await cache.delete(key);
    }
  }

  async function postReceipt(account, receipt) {
    try {
      return (await call({ server: account.server }, "POST", "/api/receipts", receipt)).status < 500;
    } catch (error) {
      return false;
    }
  }

  // -- subscriptions that the browser has renewed

  self.addEventListener("pushsubscriptionchange", (event) => {
    event.waitUntil((settings.renew ?? renewDevice)(event.oldSubscription, event.newSubscription));
  });

  async function renewDevice(former, renewed) {
    const account = await findAccount();
    if (!account.token) return;
    const { vapid_key: key } = await (await fetch(`${account.server}/api/web-apps/${account.app}`)).json();
    if (!key) return;
    await register(key, former, renewed, ({ endpoint, keys }, replaces) => call(account, "PUT", "/api/me/devices", { provider: "webpush", ...(account.app !== "webpush" && { app: account.app }), address: endpoint, keys, ...(replaces && { replaces }) }));
  }

  // `put` registers; 409 says that the push service has ended this address too, and another is made.
  async function register(key, former, renewed, put) {
    const options = { userVisibleOnly: true, applicationServerKey: key };
    const subscription = renewed ?? (await self.registration.pushManager.subscribe(options));
    const response = await put(subscription.toJSON(), former?.endpoint);
    if (response.status !== 409) return;
    await subscription.unsubscribe();
    await put((await self.registration.pushManager.subscribe(options)).toJSON(), former?.endpoint);
  }

  self.newszopWorker = { sendReceipt, register, openPage };
})();
