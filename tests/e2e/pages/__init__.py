"""Page objects: what a customer sees and does on each page of larder. No assertions here."""

from __future__ import annotations

from tests.e2e.pages.accounts import (
    AccountPage,
    BackOfficePage,
    ForgottenPage,
    LoginPage,
    OutboxPage,
    RegisterPage,
    ResetPage,
)
from tests.e2e.pages.base import Customer, ShopPage
from tests.e2e.pages.meals import KitchenPage, MealFormPage, MealPage, MealsPage
from tests.e2e.pages.shopping import (
    CartPage,
    CheckoutPage,
    OrderPage,
    OrdersPage,
    RecommendationsPage,
)

__all__ = [
    "AccountPage",
    "BackOfficePage",
    "CartPage",
    "CheckoutPage",
    "Customer",
    "ForgottenPage",
    "KitchenPage",
    "LoginPage",
    "MealFormPage",
    "MealPage",
    "MealsPage",
    "OrderPage",
    "OrdersPage",
    "OutboxPage",
    "RecommendationsPage",
    "RegisterPage",
    "ResetPage",
    "ShopPage",
]
