"""Several misses for one key share one forward request: flights, and the body they share."""
