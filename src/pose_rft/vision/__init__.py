"""What is seen in a photograph: its people, their crops, and what a pose-aware encoder says of them."""

from pose_rft.vision.crops import Circle, Crop, crop
from pose_rft.vision.encoder import ImageFeatures, PoseEncoder
from pose_rft.vision.images import read_image
from pose_rft.vision.load import load_encoder
from pose_rft.vision.look import DetectedPerson, look
from pose_rft.vision.people import Person, choose_person, find_people

__all__ = [
    "Circle",
    "Crop",
    "DetectedPerson",
    "ImageFeatures",
    "Person",
    "PoseEncoder",
    "choose_person",
    "crop",
    "find_people",
    "load_encoder",
    "look",
    "read_image",
]  # fmt: skip
