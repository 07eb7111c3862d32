from .base import ZK as ZK

VERSION: tuple[int, int]
