/** `/`: where things are. No secrets, no scripts. */
export const HOME_PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Tocsin</title></head>
<body>
<h1>Tocsin</h1>
<p>Alert notification dispatch. User <code>admin</code> with the admin password sees everything; posting takes the ingest token.</p>
<h2>Look</h2>
<ul>
<li><a href="/api/v1/dead-letters">dead letters</a>: notifications that were given up, and why</li>
<li><a href="/api/v2/alerts">alerts</a> that fire now; <a href="/api/v2/receivers">receivers</a>; <a href="/api/v2/status">routes</a></li>
<li><code>/api/v1/notifications/{id}</code>: what became of a notification</li>
<li><code>/api/v1/alerts/{fingerprint}/timeline</code>: what happened to an alert, and why</li>
</ul>
<h2>Post</h2>
<ul>
<li><code>POST /api/v1/alerts</code>, <code>POST /api/v1/notifications</code></li>
<li><code>POST /api/v2/alerts</code>: as an Alertmanager, for Prometheus</li>
<li><code>POST /hooks/alertmanager</code>: the webhook of an Alertmanager</li>
</ul>
<h2>Run</h2>
<ul>
<li><a href="/healthz">alive</a>, <a href="/readyz">ready</a>, <a href="/metrics">metrics</a></li>
</ul>
</body>
</html>
`;
