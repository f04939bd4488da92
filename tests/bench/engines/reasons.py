"""Why goals were missed: a measure's name comes in, what its profile says goes out; shown only where it is missed."""

REASONS: dict[str, str] = {}
