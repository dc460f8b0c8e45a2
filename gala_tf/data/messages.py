"""What TensorFlow's errors say, without what it wraps around it."""


def plain_message(error: Exception) -> str:
    """The first line of an error, without the graph nodes ahead and the operation behind.

    "{{function_node a}} a.jpg; No such file [Op:ReadFile]" -> "a.jpg; No such file"
    """
    text = getattr(error, "message", None) or str(error)
    return text.splitlines()[0].rpartition("}} ")[2].partition(" [Op:")[0]
