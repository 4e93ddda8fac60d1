"""The scoreboard: every network on every task, trained alike, frozen, played and priced."""
