"""How work is executed: dispatch, workers, engines, simulators."""
