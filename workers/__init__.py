"""The way out: plan -> fan_out -> deliver -> gateway, and the sweep behind them."""
