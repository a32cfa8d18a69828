"""What runs the system elsewhere: the image, the proxy, Prometheus' rules, Grafana's board."""
