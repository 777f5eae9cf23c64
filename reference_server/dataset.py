"""The dataset of the json endpoints: always the same, because it is made from a fixed seed."""

from __future__ import annotations

import random
from typing import TypedDict

SEED = 85
COUNT = 50
CATEGORIES = ("books", "clothing", "electronics", "garden", "sports", "toys")
TAGS = ("bestseller", "eco", "fragile", "imported", "limited", "new", "refurbished", "sale")


class Rating(TypedDict):
    """The rating of an item."""

    score: float
    count: int


class Item(TypedDict):
    """One item, as the contract has it; `price` in the currency's main unit."""

    id: int
    name: str
    category: str
    price: float
    quantity: int
    active: bool
    tags: list[str]
    rating: Rating


def make_items(count: int = COUNT, seed: int = SEED) -> list[Item]:
    """`count` items with prices in cents, as the round of March 2026 has them."""
    source = random.Random(seed)
    return [
        {
            "id": number,
            "name": f"Product {number}",
            "category": source.choice(CATEGORIES),
            "price": source.randint(100, 50_000) / 100,
            "quantity": source.randint(1, 50),
            "active": source.random() < 0.7,
            "tags": sorted(source.sample(TAGS, source.randint(1, 4))),
            "rating": {
                "score": source.randint(10, 50) / 10,
                "count": source.randint(1, 2_000),
            },
        }
        for number in range(1, count + 1)
    ]


def with_whole_prices(items: list[Item]) -> list[Item]:
    """The items as the round of April 2026 has them: every total is an integer."""
    return [{**item, "price": round(item["price"])} for item in items]
