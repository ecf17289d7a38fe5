// A part that cannot be drawn takes only its own place: it says so there, and the rest of the page stays.
import { Component, type ComponentChildren } from "preact";
import { ApiError } from "../api/http";
import { Failure } from "./notes";

interface Props {
  part: string;
  children: ComponentChildren;
}

export class Guard extends Component<Props, { error: string | null }> {
  override state: { error: string | null } = { error: null };

  override componentDidCatch(error: unknown): void {
    console.error(error);
    this.setState({ error: String(error) });
  }

  override render() {
    const { part, children } = this.props;
    if (this.state.error === null) return children;
    return <Failure error={new ApiError(0, `The part “${part}” could not be drawn`, null, this.state.error)} retry={() => this.setState({ error: null })} />;
  }
}
