"""How every service speaks HTTP: problems, bodies, conditions, pages, freshness, health."""
