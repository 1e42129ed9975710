"""The parts of an empirical risk: its values, what lies behind them, its variants and who evaluates it."""
