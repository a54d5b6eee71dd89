import { type Accounts, ALL_RIGHTS, isSameText, type Rights, type UserLimits, type Users } from '#broker';

/** The account the service made for itself at its start: never stored, not limited to loopback, may do everything. */
export interface ServiceAccount {
  user: string;
  password: string;
}

/** The broker's accounts and, before them, that of its service. */
export class ServiceUsers implements Users {
  constructor(
    private readonly accounts: Accounts,
    private readonly service: ServiceAccount | undefined,
  ) {}

  authenticate(user: string, password: string, remoteAddress: string): boolean {
    if (this.service?.user === user) return isSameText(this.service.password, password);
    return this.accounts.authenticate(user, password, remoteAddress);
  }

  mayAccess(user: string, virtualHost: string): boolean {
    return this.isService(user) || this.accounts.mayAccess(user, virtualHost);
  }

  rightsIn(user: string, virtualHost: string): Rights {
    return this.isService(user) ? ALL_RIGHTS : this.accounts.rightsIn(user, virtualHost);
  }

  limitsOf(user: string): UserLimits {
    return this.isService(user) ? {} : this.accounts.limitsOf(user);
  }

  onRemoved(listener: (user: string) => void): void {
    this.accounts.onRemoved((user) => {
      if (!this.isService(user)) listener(user);
    });
  }

  /** What the user may see of the management pages. */
  tagsOf(user: string): readonly string[] {
    return this.isService(user) ? ['administrator'] : (this.accounts.user(user)?.tags ?? []);
  }

  private isService(user: string): boolean {
    return this.service?.user === user;
  }
}
