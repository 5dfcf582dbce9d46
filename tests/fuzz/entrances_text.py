"""Entrances that take words: counts, queries, systems, settings."""

from __future__ import annotations

import random
from pathlib import Path
from typing import ClassVar

import many_documents
from attack import SECRET, Attack, Place, environment, vogen
from mutations import NOT_FINITE, NUMBERS, TEXTS, mutate_text, structured_file

FORMULAS = ("VO2", "V2O3", "V2O5", "V", "O2", "TiO2", "V0.5O1", "V1.0O2.0", "VO2.0", "(VO)2O2")


def address(rng: random.Random) -> str:
    """A MongoDB address with a password, somewhere wrong."""
    user = rng.choice(("user", "us er", "", "us%40er", "u:v", "%zz"))
    secret = rng.choice((SECRET, f"{SECRET}@x", f"a:{SECRET}", f"{SECRET}/x", f"%40{SECRET}", ""))
    host = rng.choice(
        ("127.0.0.1:1", "127.0.0.1:x", "127.0.0.1:99999999", "", "[::1", "a,b,c", "h\0st", "日本",
         "127.0.0.1:-1", "[::1]:1", "%2Ftmp%2Fx.sock", "h" * 300, "127.0.0.1:1:1")
    )  # fmt: skip
    name = rng.choice(("", "/", "/db", "/d b", "/d.b", "/$db", "/db\0", "/" + "d" * 100, "/../x"))
    options = rng.choice(
        ("", "?", "?x", "?x=1", "?tls=maybe", f"?authMechanismProperties=AWS_SESSION_TOKEN:{SECRET}",
         f"?tlsCertificateKeyFilePassword={SECRET}", f"?password={SECRET}", "?w=-1", "?&&=&",
         "?authMechanism=NONE", f"?appname={'x' * 500}", "?serverSelectionTimeoutMS=1e9",
         "?serverSelectionTimeoutMS=-5", "?directConnection=true&replicaSet=x", "?ssl=true&tls=false",
         "?compressors=zzz", "?readPreference=none", "?authSource=$external")
    )  # fmt: skip
    scheme = rng.choice(
        ("mongodb://",) * 6 + ("MongoDB://", "mongodb:/", "http://", "mongo://", "")
    )
    return f"{scheme}{user}:{secret}@{host}{name}{options}"


class Counts:
    """``--counts`` of ``vogen submit``, which checks them first and then lacks its LaunchPad."""

    name, share = "counts", 400

    def prepare(self, root: Path) -> None:
        """Nothing."""

    def attack(self, rng: random.Random, place: Place) -> Attack:
        text = ",".join(self._entry(rng) for _ in range(rng.choice((1, 1, 2, 3))))
        if rng.random() < 0.3:
            text = mutate_text(rng, text).decode("utf-8", "replace")
        missing = place.inputs / "missing.yaml"
        return Attack(repr(text)[:200], lambda: vogen("submit", f"--counts={text}", "-l", missing))

    @staticmethod
    def _entry(rng: random.Random) -> str:
        formula = (
            rng.choice(FORMULAS + TEXTS) if rng.random() < 0.7 else f"V{rng.choice(NUMBERS)}O2"
        )
        number = rng.choice((*NUMBERS, *NOT_FINITE, *TEXTS, "8", "٣", "1_0", "0x8", "8.0", "+8"))
        return f"{formula}{rng.choice(('=', '==', ':', ' = ', '', '≠'))}{number}"


class Queries:
    """``vogen query`` on a good store."""

    name, share = "queries", 1300
    words = ("--formula", "--class", "--field-class", "--space-group", "--character", "--phonons",
             "--sampler", "--model", "--scheme", "--state", "--sort")  # fmt: skip
    numbers = ("--max-hull", "--min-hull", "--limit", "--gap")
    flags = ("--unique", "--duplicate", "--novel", "--known", "--half-metal", "--stable-phonons",
             "--json")  # fmt: skip
    good = ("stable", "on hull", "ranked", "any", "metal", "soft", "VO2", "Pnma", "225", "files",
            "energy_above_hull", "-gap", "gap", "CHGNet-0.3.0")  # fmt: skip

    def prepare(self, root: Path) -> None:
        """A store of forty crystals."""
        from atomate2_vogen.stores import VogenStores

        made = list(many_documents.stability(40, seed=3))
        self.folder = root / "queried"
        with VogenStores.open(self.folder / "store", create=True) as stores:
            stores.stability.update(made)
            stores.electronic.update(list(many_documents.electronic(made[:10])))
            stores.phonons.update(list(many_documents.phonons(made[:10])))

    def attack(self, rng: random.Random, place: Place) -> Attack:
        arguments: list[str] = []
        for _ in range(rng.choice((1, 1, 2, 3, 5))):
            arguments += self._option(rng, place)
        where = str(self.folder) if rng.random() < 0.9 else rng.choice((address(rng), *TEXTS))
        return Attack(
            repr(arguments)[:300], lambda: vogen("query", *arguments, "--", where), writes=True
        )

    def _option(self, rng: random.Random, place: Place) -> list[str]:
        kind = rng.randrange(10)
        if kind < 5:
            word = rng.choice(TEXTS + FORMULAS + self.good + ("V" + "9" * 50, "V1e300", "V-1", "X"))
            return [f"{rng.choice(self.words)}={word}"]
        if kind < 7:
            value = rng.choice((*NUMBERS, *NOT_FINITE, "1:2", ":", "2:1", "nan:1", "1:2:3", *TEXTS))
            return [f"{rng.choice(self.numbers)}={value}"]
        if kind < 8:
            return [rng.choice(self.flags)]
        option = rng.choice(("--csv", "--cifs"))
        target = rng.choice(
            (
                str(place.out / rng.choice(TEXTS)),
                str(place.out / "deep" / "er"),
                str(place.inputs),
                str(place.outside / "canary" / "x"),
                "nul\0nul",
                "",
                "-",
                str(place.out / ("x" * 300)),
                "~nobody/x",
            )
        )
        parts = Path(target.replace("\0", "")).parts
        if ".." in parts or target in TEXTS[:9]:  # the user may write where he likes
            target = str(place.out)
        return [f"{option}={target}"]


class Systems:
    """``--system``: names and files."""

    name, share = "systems", 600

    def prepare(self, root: Path) -> None:
        """Nothing."""

    def attack(self, rng: random.Random, place: Place) -> Attack:
        from atomate2_vogen.chemistry import VANADIUM

        missing = place.inputs / "missing.yaml"
        if rng.random() < 0.25:
            text = rng.choice(
                (*TEXTS, "V-O-V", "O-O", "Xx-O", "V-", "-", "v-o", "V–O", "U-O", "He-O")
            )
            if rng.random() < 0.3:
                text += rng.choice((".json", ".yaml", ".yml", ".YAML"))
            return Attack(
                repr(text)[:200], lambda: vogen("submit", f"--system={text}", "-l", missing)
            )
        content = structured_file(rng, VANADIUM.as_dict())
        suffix = rng.choice((".json", ".yaml", ".yml"))
        path = place.write("system" + suffix, content)
        return Attack(
            repr(content[:200]),
            lambda: vogen("submit", "--system", path, "-n", "VO2=1", "-l", missing),
        )


class Settings:
    """The file of settings, variables, and the store that they name."""

    name, share = "settings", 700
    good: ClassVar = {"STORE": f"mongodb://u:{SECRET}@127.0.0.1:1/x", "WORKERS": 2, "THREADS": 1,
            "GPAW_COMMAND": "python3"}  # fmt: skip

    def prepare(self, root: Path) -> None:
        """Nothing."""

    def attack(self, rng: random.Random, place: Place) -> Attack:
        variables: dict[str, str | None] = {}
        if rng.random() < 0.6:
            content = structured_file(rng, self.good)
            note = repr(content[:200])
            variables["VOGEN_CONFIG_FILE"] = str(place.write("vogen.yaml", content))
        else:
            name = rng.choice((*self.good, "CONFIG_FILE", "WORKER", "STOR", "CONFIGFILE", "store"))
            value = rng.choice((*TEXTS, address(rng), *map(str, NUMBERS), "-0", "1.5"))
            value = value.replace("\0", "").encode("utf-8", "replace").decode()
            variables[f"VOGEN_{name}"] = value
            note = repr(variables)[:200]
        return Attack(note, lambda: self._read(variables))

    @staticmethod
    def _read(variables: dict[str, str | None]) -> None:
        from atomate2_vogen.settings import settings

        with environment(**variables):
            vogen("query", "--limit", "1")
            print(repr(settings()))  # noqa: T201 - it is searched for secrets
