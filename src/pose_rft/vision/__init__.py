"""From a photograph to its people, their crops, and what a pose-aware encoder says of them."""

from pose_rft.vision.crops import Circle, Crop, crop
from pose_rft.vision.detected_person import DetectedPerson, detect_person
from pose_rft.vision.encoder import ImageFeatures, PoseEncoder
from pose_rft.vision.images import read_image
from pose_rft.vision.load import load_encoder
from pose_rft.vision.people import Person, choose_person, find_people

__all__ = [
    "Circle", "Crop", "DetectedPerson", "ImageFeatures", "Person", "PoseEncoder", "choose_person", "crop",
    "detect_person", "find_people", "load_encoder", "read_image",
]  # fmt: skip
