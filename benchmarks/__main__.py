"""Every benchmark, one after the other: ``make bench``."""

from benchmarks import imports, planes

if __name__ == "__main__":
    imports.main()
    planes.main()
