"""Every provider as a store, a queue and a gateway. exact: what our own stores keep to beyond the contract."""
