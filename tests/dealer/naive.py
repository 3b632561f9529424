"""What proposers propose, in plain loops over a case, written like their description."""

import math


class Case:
    """A case's inventory by names."""

    def __init__(self, case, decisions=None):
        self.config = case["dealer"]["config"]
        self.plugins = self.config["plugins"]
        inventory = case["inventory"]
        self.sites = {site["name"]: site for site in inventory["sites"]}
        self.datasets = {one["name"]: one for one in inventory["datasets"]}
        self.decisions = decisions
        """As `detox_decisions` of the answer."""

    def quota(self, site):
        quotas = self.sites[site]["quotas_tb"]
        parts = ["Ana", "Prod"] if self.config["partition_name"] == "Pool" else ["Ana"]
        return sum(quotas[part] for part in parts) * 10**12

    def held(self, site, part):
        owners = {"Ana": ["analysis"], "Pool": ["analysis", "production"]}
        disk = self.sites[site]["storage_type"] == "disk"
        return disk and part["group"] in owners[self.config["partition_name"]]

    def size(self, dataset):
        return sum(block["size"] for block in self.datasets[dataset]["blocks"])

    def replicas(self, dataset):
        return {replica["site"]: replica for replica in self.datasets[dataset]["replicas"]}

    # --- proposers

    def popularity(self, fits):
        config = self.plugins["popularity"]["config"]
        lists = []
        for name, dataset in sorted(self.datasets.items()):
            weight = dataset["attrs"]["request_weight"]
            owners = {part["group"] for one in dataset["replicas"] for part in one["blocks"]}
            if weight <= 0 or not owners & set(config["source_groups"]) or not fits(name):
                continue
            if self.size(name) > config["max_dataset_size"] * 1e12:
                continue
            wanted = math.ceil(weight / config["request_to_replica_threshold"])
            number = min(config["max_replication"], wanted) - len(dataset["replicas"])
            lists.append((weight, name, number))
        lists.sort(key=lambda one: -one[0])
        rounds = max([number for _, _, number in lists], default=0)
        return [
            (name, None, None)
            for turn in range(rounds)
            for _, name, number in lists
            if number > turn
        ]

    def undertaker(self):
        named = self.plugins["undertaker"]["config"]["additional_sites"]
        dying = {
            name for name, site in self.sites.items() if site["status"] == "morgue" or name in named
        }
        safe = {name for name, site in self.sites.items() if site["status"] == "ready"} - dying
        found = []
        for name, dataset in self.datasets.items():
            everywhere = self.replicas(name)
            for site in set(everywhere) & dying:
                if not self._protected(name, site):
                    continue
                rescued = self._blocks(everywhere, safe)
                left = self._blocks(everywhere, {site}) - rescued
                staying = self._blocks(everywhere, set(self.sites) - dying, complete=True)
                if left:
                    every = {block["name"] for block in dataset["blocks"]}
                    blocks = None if left == every else tuple(sorted(left))
                    found.append((not left - staying, name, site, blocks))
        return [
            (name, None, blocks) for _, name, _, blocks in sorted(found, key=lambda one: one[:3])
        ]

    def _protected(self, name, site):
        if self.decisions is None:
            return any(self.held(site, part) for part in self.replicas(name)[site]["blocks"])
        return any(one[0] == name and one[2] == "protect" for one in self.decisions.get(site, ()))

    def _blocks(self, replicas, sites, complete=False):
        return {
            part["block"]
            for site, replica in replicas.items()
            if site in sites
            for part in replica["blocks"]
            if not complete or "size" not in part
        }

    def groups(self):
        found = []
        for name, dataset in self.datasets.items():
            for site, replica in self.replicas(name).items():
                held = [part for part in replica["blocks"] if self.held(site, part)]
                if any(part["group"] == "production" for part in held):
                    blocks = {part["block"] for part in held}
                    every = {block["name"] for block in dataset["blocks"]}
                    found.append((name, site, None if blocks == every else tuple(sorted(blocks))))
        return sorted(found)

    def balancer(self):
        config = self.plugins["balancer"]["config"]
        if self.decisions is None:
            return []
        fractions, queues = {}, {}
        for site in sorted(self.decisions):
            quota = self.quota(site)
            if quota <= 0:
                continue
            protected = [one for one in self.decisions[site] if one[2] == "protect"]
            fractions[site] = sum(one[1] for one in protected) / quota
            queues[site] = [
                one[0]
                for one in sorted(protected, key=lambda one: (one[1], one[0]))
                if one[4] in config["target_reasons"]
                and self._copies(one[0]) <= config["target_reasons"][one[4]]
            ]
        found, volume = [], 0
        while fractions:
            fullest = max(sorted(fractions), key=fractions.get)
            if fractions[fullest] - min(fractions.values()) < 0.05:
                break
            if not queues[fullest]:
                del fractions[fullest]
                continue
            dataset = queues[fullest].pop(0)
            size = self.size(dataset)
            if size > config["max_cycle_volume"] * 1e12:
                continue
            if volume + size > config["max_cycle_volume"] * 1e12:
                break
            volume += size
            found.append((dataset, None, None))
            fractions[fullest] -= size / self.quota(fullest)
        return found

    def _copies(self, name):
        every = len(self.datasets[name]["blocks"])
        count = 0
        for site, replica in self.replicas(name).items():
            parts = replica["blocks"]
            partial = len(parts) < every and all("size" not in part for part in parts)
            on_disk = self.sites[site]["storage_type"] == "disk"
            count += on_disk and not partial and any(self.held(site, part) for part in parts)
        return count
